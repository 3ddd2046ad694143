"""What the user wrote: the models of the configuration, how it is found and loaded, and the built-in catalogue.

Loading reads files and reports problems by file, line and reason; it never decides anything and never logs.
"""
