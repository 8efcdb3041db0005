"""From a prompt that was read to the words of the answer, and to OpenAI's form of them."""
