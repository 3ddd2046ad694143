"""The real OpenCode against scripted providers on loopback; the only proof that counts for what OpenCode does."""
