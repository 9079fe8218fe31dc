"""What convolutions and pools are made of."""
