"""A worker whose children do the deeds of the sandbox tests; run it with the environment of a worker."""

import os
import sys

from workers import node
from workers.sandbox import Nursery
from workers.tasks import Worker, serve

if __name__ == "__main__":
    nursery = Nursery(preload="none", perform="tests.workers.sandbox_orders:perform")
    sys.exit(serve(Worker(node.settings(sys.argv[1:], os.environ), nursery=nursery)))
