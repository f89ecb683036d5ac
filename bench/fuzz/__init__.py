"""Throws hostile input at every entrance: none may crash, take long, or leave something behind each time.

    python -m bench.fuzz                     10,000 inputs for each entrance, some minutes each
    python -m bench.fuzz --inputs 300 http   a few for one

What was wrong is printed with the smallest input that hypothesis finds for it, and with the seed. Exits 1 then.
"""
