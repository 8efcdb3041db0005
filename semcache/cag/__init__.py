"""Cache-augmented generation: a local model that has already read the documents.

Importing this package loads neither torch nor transformers; `semcache.cag.engine` does.
"""

import os

# torch's OpenMP threads spin while they wait, which starves whatever shares the cores: the event
# loop and the encoder of this very process first. Asleep they cost an idle machine nothing that
# can be measured, and under load answers come ten times sooner. Read once, when torch is loaded.
os.environ.setdefault("OMP_WAIT_POLICY", "PASSIVE")
