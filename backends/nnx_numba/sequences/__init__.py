"""What recurrent networks are made of."""
