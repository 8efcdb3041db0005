"""What reading the knowledge once is worth."""
