"""Documents of any number: read, split, catalogued, and found again for a question.

`library.Library` puts the parts together. Files become text (`loading`), text becomes passages
(`splitting`), passages and their vectors lie in one SQLite file (`catalog`), and what that file
says at one moment is searched by meaning and by words (`snapshot`).
"""
