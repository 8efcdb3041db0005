"""Training a model to answer from blocks that were read apart from each other.

Block-masked training (Block-Attention, arXiv 2409.15355) of the whole model or of LoRA weights,
from labelled questions or from the model's own full-attention distributions.
"""
