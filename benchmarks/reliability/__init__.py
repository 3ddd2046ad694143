"""How far the daemon can be trusted, as figures: `python -m benchmarks.reliability` measures and writes the page.

One small file per item; each measures at the size it is asked for, so that the tests run the same code in short.
"""
