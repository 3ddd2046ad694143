"""Names: which spellings name the same model, and how strong a model is.

Names only: no provider is asked and nothing is remembered.
"""
