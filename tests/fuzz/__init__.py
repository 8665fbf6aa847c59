"""A fuzzer for all that reads strangers' files: they are read, or refused with a ZooError; nothing else ever happens.

``python -m tests.fuzz [TARGET...] --cases 100000 --jobs 2`` from the repository's root. A case is made from its target,
its seed and its number alone, so that the command that is printed for a failure repeats it:

- ``mutate``: damage to bytes, to trees (JSON, YAML), to opcodes of pickles, to records of zips, PNG and TIFF.
- ``targets``: what is read, and by what.
- ``watch``: what a case may not do, such as raise something else, hang, take much memory, write, or run a program.
- ``__main__``: the command, and the processes that do the work.
"""
