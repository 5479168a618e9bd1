"""Auth consumes no events; its API publishes events about accounts and guests."""

from chassis.saga.topology import Participant
from contracts import GuestMerged, UserRegistered

participant = Participant("auth", publishes=[UserRegistered, GuestMerged])
