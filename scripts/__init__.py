"""Writers of generated pages, pictures and data: ``python -m scripts.NAME``, by hand.

``pages.py`` is what the writers of pages share. ``make pages`` runs them all. The tests fail where
a page is not what its writer makes.
"""
