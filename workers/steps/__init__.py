"""What techniques of one kind share: fields with their words and limits, and what follows from them.

A technique inherits one of these and adds what is its own. A default of its own is one line, such as
``epochs: Epochs = 10``. Pages show a technique's own fields first.
"""
