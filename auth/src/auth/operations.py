"""All that operators' tools may import of auth: what is imported here, and queries that only read."""

from auth.keys import PUBLISHED_SECONDS
from auth.saga import participant
from auth.settings import LONGEST_TOKEN

ACCOUNTS_OF_GUESTS = "SELECT guest_id::text, account_id::text FROM merged_guest"
