# SPDX-License-Identifier: ISC
"""All cases, in the order in which they run."""
from cases_filter import Filter
from cases_imap import Append, Copy50k, FetchBody50k, FetchFlags50k, FetchSync50k, Select50k, Store50k
from cases_session import Idle10k, Login, Pop3
from cases_smtp import OneTo1000, Relay, SmtpAccept, SmtpDeliver

CASES = [SmtpAccept, SmtpDeliver, OneTo1000, Relay, Filter, FetchSync50k, Select50k, FetchFlags50k, FetchBody50k, Store50k,
         Copy50k, Append, Idle10k, Login, Pop3]
