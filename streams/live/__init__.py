"""The live page: what every worker counts, by the minute, made one whole and shown in the browser.

counters ─▶ `publish` ─▶ topic `…live` ─▶ `follow` ─▶ `history` ─▶ `picture` ─▶ `hub` ─▶ `page` ─▶ browsers
"""
