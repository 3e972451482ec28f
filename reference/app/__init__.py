"""The command `evenflow`: commands and their options, what they print, the pictures they draw."""
