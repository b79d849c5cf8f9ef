"""Text in, text out: tokens, batches of them, sequence models and how they are decoded."""
