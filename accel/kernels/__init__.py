"""CUDA sources and what loads them."""
