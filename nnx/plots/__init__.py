"""Pictures of training, weights and predictions, drawn by matplotlib into files, never a window."""
