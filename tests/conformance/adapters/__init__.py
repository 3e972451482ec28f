"""One file a library; each imports its library, so importing this package imports none of them."""
