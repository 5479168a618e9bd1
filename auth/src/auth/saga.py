"""Auth hears nothing; what it says of accounts and guests is said by its API."""

from chassis.saga.topology import Participant
from contracts import GuestMerged, UserRegistered

participant = Participant("auth", says=[UserRegistered, GuestMerged])
