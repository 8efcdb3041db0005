"""The network of a few rows, in whole numbers where the weights are: decoding on a CPU."""
