"""Training: objectives, monitors, and runs that can be broken off and resumed.

Nothing here is needed to use a model. It needs the extra ``[train]``.
"""
