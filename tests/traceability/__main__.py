"""python -m tests.traceability > docs/traceability.md"""
from tests.traceability.page import page

print(page())
