"""How long one lookup takes in process, beside GPTCache and mneme-cache."""
