"""Laws that layers obey whatever their options, shapes and values are, tried on examples that hypothesis draws.

`laws.py` says what a law is, `subjects.py` how a layer is drawn; each family of laws has a file of its own.
The other tests run a few examples of each; `python -m tests.properties --count 1000` runs so many.
"""
