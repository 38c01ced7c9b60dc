"""Grammatical acceptability as a preference between two sentences that differ in one place: a generator of our own.

The phenomena follow the classes of BLiMP (Warstadt et al. 2020, arXiv 1912.00582); lexicon and templates are new.
"""
