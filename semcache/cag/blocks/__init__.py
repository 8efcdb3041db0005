"""What was read of passages, apart: stored, placed in a prompt, repaired."""
