"""The rate-limit sidecar: knows what is used, what is cooling and what comes next, for every provider a developer has.

Rooms: `config` (what the user wrote), `core` (pure decisions), `daemon` (all I/O), `report` (what people read),
`commands` (one file per command). Data flows one way: wire -> event -> engine -> decision -> wire.
"""

__version__ = "0.1.0"
