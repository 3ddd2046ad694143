"""Refusals: what a provider said when it said no, and what that means.

Evidence (status, headers, text, body) in, a `Failure` out; tables of rules and the small language they are written in.
Nothing here remembers anything, and no rule may look at an echoed prompt.
"""
