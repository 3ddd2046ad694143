"""Leave to open turns without a question, given to all sessions together and recalled together.

Asking holds a healthy turn up for as long as the editor finds other work to do meanwhile, which is far longer than the
answer takes. A session that is where its user wants it, with ample room and no trouble, need not ask: it gets the text
of the seal with its last answer, and whoever reads the same text in the seal's file knows that nothing has changed that
could change the answer. Everything that could breaks the seal, for everybody: what follows is one question, no more.
Nothing in here looks at a clock or a file.
"""


class Leaves:
    """The number on the seal, and whether anybody holds leave under it (`given`)."""

    def __init__(self) -> None:
        self.number = 0
        self.given = False

    def give(self) -> int:
        """Give leave; it holds while `number` stays what is returned here."""
        self.given = True
        return self.number

    def recall(self) -> None:
        """Take back what was given since the last time."""
        if self.given:
            self.number += 1
            self.given = False
