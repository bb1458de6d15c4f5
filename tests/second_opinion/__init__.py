"""The product and ``local`` held against implementations that are not ours: ``make second-opinion``.

None of these files is collected by ``make test``: they need LocalStack and two npm packages, which have pins and a
virtual environment of their own. `tests.second_opinion.__main__` starts what is needed and runs them.
"""
