"""The tables, one module each; `lampbench/report/contents.py` lists them."""
