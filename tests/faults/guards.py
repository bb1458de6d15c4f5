"""The guards that the guarantees hang on, and for each the test that fails without it.

An entry is a text of the layer, what takes its place, and tests that have to fail then. Each text has to be
in its file exactly once: who changes a guard changes its entry as well.
"""

from __future__ import annotations

from dataclasses import dataclass

EVENTS = "tests/unit/test_events.py"
PLAN = "tests/unit/test_plan.py"
MIRROR = "tests/unit/test_mirror.py"
HTTP = "tests/unit/test_images_http.py"
LEDGER = "tests/integration/test_ledger.py"
S3 = "tests/integration/test_copy_artifact/test_object.py"
RESUME = "tests/integration/test_copy_artifact/test_resume.py"
MODES = "tests/integration/test_copy_artifact/test_modes.py"
ANSWERS = "tests/integration/test_copy_artifact/test_answers.py"
STREAMED = "tests/integration/test_copy_artifact/test_streamed.py"
PREFIX = "tests/integration/test_copy_artifact/test_prefix.py"
ECR = "tests/integration/test_copy_image/test_refusals.py"
MIRRORING = "tests/integration/test_copy_image/test_mirroring.py"
REDRIVE = "tests/integration/test_redrive.py"
UNNOTED = "tests/faults/test_unnoted.py"
SWEEPING = "tests/integration/test_sweeping.py"
DELETED = "tests/integration/test_source_deleted.py"
DEFERRING = "tests/integration/test_deferring.py"
POLICY = "tests/unit/test_policy.py"
PARTITIONS = "tests/unit/test_partitions.py"
REDACTION = "tests/unit/test_redaction.py"
DIGESTS = "tests/integration/test_image_digests.py"
SEQUENCES = "tests/integration/test_sequences.py"
ADOPTING = "tests/integration/test_adopting.py"
BY_HAND = "tests/security/test_person_in_hub_starts_things_by_hand.py"
REFERRERS = "tests/integration/test_copy_image/test_referrers.py"


@dataclass(frozen=True)
class Guard:
    """A guard, and how to remove it."""

    protects: str
    """What it is for; its name in this table."""
    file: str
    """In the package ``replicator``."""
    old: str
    new: str
    tests: tuple[str, ...]
    """Node ids. Each has to pass with the guard, and one of them to fail without it."""


GUARDS = [
    # What the register function is told
    Guard(
        "register takes no place for a copy that is outside the version's own",
        "refusals.py",
        "if not policy.is_place_of(version, result.destination):",
        "if False:",
        (f"{BY_HAND}::test_register_is_not_told_where_the_copies_are_while_an_execution_runs",),
    ),
    # Who may send
    Guard(
        "an event speaks for its own account only",
        "events.py",
        "if event.account != arn.account:",
        "if False:",
        (f"{EVENTS}::test_what_may_not_be_replicated_says_why",),
    ),
    Guard(
        "only registered accounts are spokes",
        "spokes.py",
        "if spokes and account not in spokes:",
        "if False:",
        (f"{EVENTS}::test_what_may_not_be_replicated_says_why",),
    ),
    Guard(
        "the hub does not replicate itself",
        "spokes.py",
        "if account == hub_account:",
        "if False:",
        (f"{EVENTS}::test_what_may_not_be_replicated_says_why",),
    ),
    Guard(
        "other regions are not served",
        "spokes.py",
        "if arn.region != region:",
        "if False:",
        (f"{EVENTS}::test_what_may_not_be_replicated_says_why",),
    ),
    Guard(
        "events of other regions are not taken",
        "events.py",
        "if event.region != region:",
        "if False:",
        (f"{EVENTS}::test_what_may_not_be_replicated_says_why",),
    ),
    Guard(
        "only SageMaker's events count",
        "events.py",
        "if kind != (SOURCE, DETAIL_TYPE) and kind != (None, None):",
        "if False:",
        (f"{EVENTS}::test_what_may_not_be_replicated_says_why",),
    ),
    Guard(
        "an event that cannot be kept is malformed",
        "events.py",
        "event.to_message()  # the ledger keeps it as a message",
        "pass",
        (f"{EVENTS}::test_what_could_not_be_kept_as_a_message_is_malformed",),
    ),
    Guard(
        "a time that cannot be reckoned with is none",
        "events.py",
        "not MINYEAR < found.year < MAXYEAR",
        "False",
        (f"{EVENTS}::test_an_unreadable_time_is_none_and_does_not_lose_the_event",),
    ),
    # The ledger
    Guard(
        "one run at a time",
        "aws/ledger.py",
        '"attribute_not_exists(#state) OR #state = :failed OR "',
        '"attribute_not_exists(#state) OR #state = :failed OR #state = :running OR "',
        (f"{LEDGER}::test_the_first_event_claims_and_the_next_only_counts",),
    ),
    Guard(
        "a run ends only if no event came meanwhile",
        "aws/ledger.py",
        '"attempt = :attempt AND #state = :running AND wanted = seen"',
        '"attempt = :attempt AND #state = :running"',
        (
            f"{LEDGER}::test_an_event_during_a_run_makes_it_go_round_again",
            f"{LEDGER}::test_an_event_during_a_run_that_fails_makes_it_go_round_again",
        ),
    ),
    Guard(
        "a run that lost the item has no say",
        "aws/ledger.py",
        'source_arn, expression, "attempt = :attempt AND #state = :running", values | running',
        'source_arn, expression, "(:attempt = :attempt) AND #state = :running", values | running',
        (f"{LEDGER}::test_an_execution_that_lost_the_item_has_no_say",),
    ),
    Guard(
        "an event has been seen only by a reading that is surely later",
        "ledger.py",
        "instant(changed + _EVENT_RESOLUTION)",
        "instant(changed)",
        (f"{LEDGER}::test_an_event_that_the_mirror_has_seen_is_let_go",),
    ),
    Guard(
        "what failed takes every event",
        "aws/ledger.py",
        '"attribute_not_exists(#state) OR #state = :failed OR "',
        '"attribute_not_exists(#state) OR (#state = :failed AND read_at < :after) OR "',
        (f"{LEDGER}::test_a_failed_item_takes_every_event_however_old",),
    ),
    Guard(
        "a claim without an execution is taken over",
        "aws/ledger.py",
        "if old.state is State.RUNNING and old.execution_arn is None:",
        "if False:",
        (f"{LEDGER}::test_a_claim_that_died_before_its_execution_is_taken_over",),
    ),
    Guard(
        "an item of a newer release is not taken for one of ours",
        "ledger.py",
        "if schema > SCHEMA or state not in set(State):",
        "if False:",
        (f"{SWEEPING}::test_intake_names_an_item_of_a_newer_release_and_leaves_it_alone",),
    ),
    Guard(
        "an item that cannot be read is named",
        "ledger.py",
        "except (ValueError, TypeError, KeyError, AttributeError) as error:",
        "except ZeroDivisionError as error:",
        (f"{SWEEPING}::test_an_item_that_cannot_be_read_stops_no_sweep_and_is_named",),
    ),
    Guard(
        "the slot of an item that cannot be read is released",
        "operations/sweeping.py",
        "if error.code is not ErrorCode.LEDGER_VERSION:",
        "if True:",
        (f"{SWEEPING}::test_an_item_that_cannot_be_read_stops_no_sweep_and_is_named",),
    ),
    Guard(
        "a failure that a newer release owns releases its slot",
        "operations/failing.py",
        "self.ending.slots.release(request.source_arn)",
        "pass",
        (f"{SWEEPING}::test_a_newer_releases_item_is_left_alone_and_its_failure_has_a_letter",),
    ),
    Guard(
        "an item of a newer release is not written",
        "aws/ledger_items.py",
        "(attribute_not_exists(#schema) OR #schema <= :schema)",
        "(attribute_not_exists(#schema) OR #schema >= :schema)",
        (f"{SWEEPING}::test_no_write_touches_an_item_of_a_newer_release",),
    ),
    Guard(
        "a failure that a newer release owns has its letter",
        "operations/failing.py",
        "if error.code is not ErrorCode.LEDGER_VERSION:",
        "if True:",
        (f"{SWEEPING}::test_a_newer_releases_item_is_left_alone_and_its_failure_has_a_letter",),
    ),
    # The sweep
    Guard(
        "a failure is settled after its letter was sent",
        "operations/failing.py",
        "        due = entry.lettered != entry.attempt\n",
        "        due = entry.lettered != entry.attempt\n"
        "        self.ledger.settle(entry.source_arn, entry.attempt)\n",
        (f"{SWEEPING}::test_a_failure_whose_letter_could_not_be_sent_stays_to_be_found",),
    ),
    Guard(
        "a letter that was sent is not sent again",
        "operations/failing.py",
        "self.ledger.lettered(entry.source_arn, entry.attempt)",
        "pass",
        (f"{SWEEPING}::test_an_end_that_cannot_be_announced_has_one_letter_and_no_slot",),
    ),
    Guard(
        "every attempt that fails has a letter of its own",
        "operations/failing.py",
        "due = entry.lettered != entry.attempt",
        "due = not entry.lettered",
        (f"{SWEEPING}::test_an_end_that_cannot_be_announced_has_one_letter_and_no_slot",),
    ),
    Guard(
        "a letter that could not be sent is not noted",
        "operations/failing.py",
        "            self.send(entry.source_arn, entry.event, code, reason, now, entry.attempt)\n",
        "            self.ledger.lettered(entry.source_arn, entry.attempt)\n"
        "            self.send(entry.source_arn, entry.event, code, reason, now, entry.attempt)\n",
        (f"{SWEEPING}::test_a_failure_whose_letter_could_not_be_sent_stays_to_be_found",),
    ),
    Guard(
        "a letter settles its own attempt only",
        "aws/ledger.py",
        """            "REMOVE unsettled",
            "attempt = :attempt AND #state = :failed",
""",
        """            "REMOVE unsettled",
            "(:attempt = :attempt) AND #state = :failed",
""",
        (f"{SWEEPING}::test_a_letter_of_an_earlier_attempt_does_not_settle_a_later_one",),
    ),
    Guard(
        "the sweep takes the attempt that it looked at",
        "aws/ledger.py",
        '"attempt = :attempt AND #state = :running" + unread',
        '"(:attempt = :attempt) AND #state = :running" + unread',
        (f"{SWEEPING}::test_an_attempt_that_the_sweep_did_not_look_at_is_not_taken",),
    ),
    Guard(
        "the sweep takes no attempt that has begun a round",
        "aws/ledger.py",
        'unread = "" if started else " AND (attribute_not_exists(read_at) OR read_at < :stale)"',
        'unread = ""',
        (f"{SWEEPING}::test_a_claim_whose_execution_came_at_the_last_moment_is_left_to_it",),
    ),
    Guard(
        "the sweep takes a round that began long ago and whose execution nobody knows",
        "operations/sweeping.py",
        "            stale=now - _START_GRACE,\n",
        "",
        (f"{SWEEPING}::test_a_run_whose_execution_was_forgotten_is_taken",),
    ),
    Guard(
        "intake takes no attempt that has begun a round",
        "aws/ledger.py",
        "instant(stale) if stale else _EVER",
        "instant(stale or now)",
        (f"{SWEEPING}::test_intake_gives_up_no_attempt_that_has_begun",),
    ),
    Guard(
        "the sweep waits until a message cannot come again",
        "operations/sweeping.py",
        "elif status is not None or _waited(entry, now):",
        "elif True:",
        (f"{SWEEPING}::test_a_claim_without_an_execution_is_taken_when_its_message_cannot_come_again",),
    ),
    Guard(
        "the sweep stops ahead of its deadline",
        "operations/sweeping.py",
        "if self.seconds_left() < _SECONDS_FOR_THE_END:",
        "if False:",
        (f"{SWEEPING}::test_a_sweep_that_runs_out_of_time_says_so_and_the_next_goes_on",),
    ),
    Guard(
        "the upload of a running item is not aborted",
        "operations/sweeping.py",
        "return entry.state is State.RUNNING if entry else None",
        "return False if entry else None",
        (f"{SWEEPING}::test_the_upload_of_a_live_run_stays_however_old",),
    ),
    Guard(
        "whether an item is running is asked right before an abort",
        "operations/sweeping.py",
        "if found and at_work.get(owner, False) is False:",
        "if found and owner not in at_work:",
        (f"{SWEEPING}::test_a_run_that_begins_during_the_sweep_keeps_its_uploads",),
    ),
    Guard(
        "an upload that nobody is known to be at has three days",
        "operations/sweeping.py",
        "stale = now - upload.initiated > _LONGEST_RUN if known is None else not known",
        "stale = not known",
        (f"{SWEEPING}::test_an_upload_that_nobody_is_known_to_be_at_goes_after_three_days",),
    ),
    # Slots
    Guard(
        "a spoke has so many slots and no more",
        "aws/slots.py",
        "OR size(running) < :limit ",
        "OR size(running) < :limit OR size(running) >= :limit ",
        (f"{DEFERRING}::test_an_event_that_is_put_off_is_sent_again_once_and_later[0]",),
    ),
    Guard(
        "who holds a slot needs no other",
        "aws/slots.py",
        """                    "OR contains(running, :arn)",
""",
        """                    "OR (contains(running, :arn) AND size(running) < :limit)",
""",
        (f"{DEFERRING}::test_a_version_that_holds_a_slot_is_counted_and_not_put_off",),
    ),
    Guard(
        "a rejection waits for no slot",
        "operations/intake.py",
        " and event.detail.approval_status != REJECTED",
        "",
        (f"{DEFERRING}::test_a_rejection_waits_for_no_slot",),
    ),
    Guard(
        "what asks for no run is not put off",
        "operations/intake.py",
        "if asks and not self.slots.acquire(",
        "if not self.slots.acquire(",
        (f"{DEFERRING}::test_an_event_that_the_mirror_has_seen_asks_for_no_slot",),
    ),
    Guard(
        "a run that is over releases its slot",
        "operations/finishing.py",
        "slots.release(source_arn)",
        "pass",
        (f"{DELETED}::test_the_mirror_is_marked_and_stays_as_it_is",),
    ),
    Guard(
        "a run that goes round again keeps its slot",
        "operations/finishing.py",
        "    if over:\n",
        "    if True:\n",
        (f"{DELETED}::test_a_run_that_goes_round_again_keeps_its_slot",),
    ),
    Guard(
        "an event that is put off knows how often it was",
        "operations/intake.py",
        '"StringValue": str(deferred + 1)',
        '"StringValue": str(deferred)',
        (f"{DEFERRING}::test_an_event_that_is_put_off_is_sent_again_once_and_later[0]",),
    ),
    # What is mirrored
    Guard(
        "a version that replaced another is never put into its mirror",
        "plan.py",
        "if known and known.created and known.created != created(source):",
        "if False:",
        (f"{PLAN}::test_another_version_under_the_same_arn_is_never_put_into_the_mirror_of_the_first",),
    ),
    Guard(
        "a rejection comes before everything",
        "plan.py",
        "if known and approval == REJECTED:",
        "if False:",
        (f"{PLAN}::test_a_rejection_waits_for_no_copy_and_stops_at_no_refusal",),
    ),
    Guard(
        "a rejection that nobody could read reaches a mirror that was marked before",
        "plan.py",
        "    if rejected:\n",
        "    if False:\n",
        (f"{DELETED}::test_a_rejection_that_comes_after_the_mark_reaches_the_hub",),
    ),
    Guard(
        "a reading that found no source has seen no rejection",
        "aws/ledger.py",
        'read_at = "source_seen_at" if rejection else "read_at"',
        'read_at = "read_at"',
        (f"{DELETED}::test_a_rejection_that_comes_after_the_mark_reaches_the_hub",),
    ),
    Guard(
        "a run that found no source goes round again for a rejection",
        "ledger.py",
        "read_at = self.source_seen_at if rejection else self.read_at",
        "read_at = self.read_at",
        (f"{DELETED}::test_a_rejection_that_comes_during_the_run_that_marks_reaches_the_hub",),
    ),
    Guard(
        "an older event does not overwrite what a newer one told",
        "aws/ledger.py",
        'return f"({condition}) AND (attribute_not_exists(told) OR told <= :told)" if told else condition',
        "return condition",
        (f"{LEDGER}::test_what_a_newer_event_told_stays_and_the_older_one_counts_all_the_same",),
    ),
    Guard(
        "a rejection that a later reading did not find is none",
        "ledger.py",
        "return after is None or self.source_seen_at is None or self.source_seen_at < after",
        "return True",
        (f"{DELETED}::test_a_rejection_that_a_later_reading_did_not_find_is_none",),
    ),
    Guard(
        "a mirror is rejected once for a rejection that nobody could read",
        "ledger.py",
        " or self.written.source_approval == REJECTED:",
        ":",
        (f"{DELETED}::test_a_rejection_that_nobody_could_read_reaches_the_hub_once",),
    ),
    Guard(
        "what was never approved is not mirrored",
        "plan.py",
        "if approval not in policy.replicated_statuses:",
        "if False:",
        (f"{PLAN}::test_what_was_never_approved_is_not_mirrored",),
    ),
    Guard(
        "a plan copies only images of the spoke or of allowed accounts",
        "refusals.py",
        "if not aws_owned and image.account != arn.account and image.account not in policy.image_accounts:",
        "if False:",
        (f"{PLAN}::test_what_cannot_be_mirrored_is_refused_before_anything_is_copied",),
    ),
    Guard(
        "an object that was registered in two states is refused",
        "plan.py",
        "if before.etag and copy.etag and before.etag != copy.etag:",
        "if False:",
        (f"{PLAN}::test_one_location_with_two_recorded_states_is_refused",),
    ),
    Guard(
        "an image that was registered in two states is refused",
        "plan.py",
        "if before.digest and copy.digest and before.digest != copy.digest:",
        "if False:",
        (f"{PLAN}::test_one_location_with_two_recorded_states_is_refused",),
    ),
    # The mirror
    Guard(
        "a repeated create answers with the first mirror",
        "mirror.py",
        'uuid.uuid5(_TOKENS, f"{policy.namespace}/{arn.key}")',
        "uuid.uuid4()",
        (f"{MIRROR}::test_a_mirror_is_created_with_a_token_of_its_source_and_the_policys_status",),
    ),
    Guard(
        "what a person changed in the hub stays",
        "mirror_update.py",
        "if digest(hub) not in ours:",
        "if False:",
        (f"{MIRROR}::test_what_a_person_changed_in_the_hub_stays_and_stays_reported",),
    ),
    Guard(
        "a person's approval in the hub stays",
        "mirror_update.py",
        "    if mirrored and not persons:\n",
        "    if mirrored:\n",
        (f"{MIRROR}::test_a_mirrored_status_does_not_overwrite_a_persons_decision",),
    ),
    Guard(
        "an approval in the hub does not carry over to something else that runs",
        "mirror_update.py",
        "return None if mirrored and now == source == APPROVED else PENDING",
        "return None",
        (f"{MIRROR}::test_an_approval_does_not_carry_over_to_what_runs_now",),
    ),
    Guard(
        "every field that has an image is what runs",
        "fields.py",
        'RUNS = frozenset({"InferenceSpecification", "AdditionalInferenceSpecifications", "SourceUri"})',
        'RUNS = frozenset({"InferenceSpecification", "SourceUri"})',
        (f"{MIRROR}::test_what_runs_is_every_field_that_has_an_image",),
    ),
    Guard(
        "a person's rejection in the hub outlives a change of what runs",
        "mirror_update.py",
        "    if now == REJECTED:\n        return REJECTED\n",
        "",
        (f"{MIRROR}::test_a_rejection_in_the_hub_stays_when_what_runs_changes",),
    ),
    Guard(
        "a rejection that is taken back does not undo a person's",
        "mirror_update.py",
        "    persons = now not in (ours, meant.hub_approval)\n",
        "    persons = now not in (ours, meant.hub_approval, last.source_approval)\n",
        (f"{MIRROR}::test_a_spoke_that_rejects_and_approves_again_does_not_undo_a_persons_rejection",),
    ),
    Guard(
        "a rejection that went over a person's decision does not make it the source's",
        "mirror_update.py",
        "and not (persons and (status == now or (mirrored and status == REJECTED))):",
        "and not (persons and status == now):",
        (f"{SEQUENCES}::test_a_spoke_does_not_undo_a_persons_decision_by_rejecting_and_approving",),
    ),
    Guard(
        "a stage that a person chose stays theirs although the source agrees",
        "mirror_update.py",
        "if unit in DECISIONS and hub is not None and digest(hub) not in ours:",
        "if False:",
        (f"{SEQUENCES}::test_a_stage_that_a_person_chose_stays_theirs_although_the_source_agrees",),
    ),
    Guard(
        "the source's words do not stand beside a person's status",
        "mirror_update.py",
        "        _hold_words(mirror, persons and status in (None, now), result)\n",
        "",
        (f"{MIRROR}::test_other_metadata_leaves_an_approval_and_the_sources_words_do_not_stand_beside_it",),
    ),
    Guard(
        "the source's words do not pass for the replicator's",
        "mirror.py",
        'if str(source.get(DESCRIPTION) or "").startswith(OWN_WORDS):',
        "if False:",
        (f"{MIRROR}::test_a_description_in_the_replicators_name_is_not_carried_over",),
    ),
    Guard(
        "only what names the source and this hub is its mirror",
        "provenance.py",
        "return isinstance(named, str) and version_key(named) == arn.key and metadata.get(HUB) == hub",
        "return named is None or version_key(named) == arn.key",
        (f"{MIRROR}::test_a_mirror_names_its_source_and_its_hub",),
    ),
    Guard(
        "the entries by which a mirror is known find room",
        "mirror.py",
        "for key in sorted(kept)[provenance.ENTRIES_MAX - len(provenance.IDENTITY) :]:",
        "for key in ():",
        (f"{MIRROR}::test_the_entries_by_which_a_mirror_is_known_find_room",),
    ),
    Guard(
        "two hubs in one account do not share a client token",
        "mirror.py",
        'f"{policy.namespace}/{arn.key}"',
        "arn.key",
        (f"{MIRROR}::test_a_mirror_is_created_with_a_token_of_its_source_and_the_policys_status",),
    ),
    Guard(
        "a group of another hub in the account is not written to",
        "operations/grouping.py",
        "if hub != self.policy.namespace:",
        "if False:",
        (f"{ADOPTING}::test_a_group_of_another_hub_is_refused",),
    ),
    Guard(
        "a planted document has no say in what is adopted",
        "operations/registering.py",
        'if mirror and ours and mirror.get("ModelPackageGroupName") == self._group(version):',
        "if mirror:",
        (f"{ADOPTING}::test_what_a_planted_document_names_is_not_adopted",),
    ),
    Guard(
        "a rejection reaches the hub whatever it shows",
        "mirror_update.py",
        "if want.source_approval == REJECTED and last.source_approval != REJECTED and now != REJECTED:",
        "if False:",
        (f"{MIRROR}::test_a_rejection_goes_through_whatever_the_hub_shows_and_takes_its_reason_along",),
    ),
    Guard(
        "a package cannot claim the provenance of another",
        "mirror.py",
        "foreign = {key for key in metadata if key.startswith(provenance.PREFIX)}",
        "foreign = set[str]()",
        (f"{MIRROR}::test_a_package_cannot_pass_for_the_mirror_of_another",),
    ),
    Guard(
        "a mirror that nobody noted is looked for before one is made",
        "operations/registering.py",
        "hub_arn = entry.hub_arn or self._find(version, entry, document)",
        "hub_arn = entry.hub_arn",
        (f"{UNNOTED}::test_a_mirror_that_was_made_and_not_noted_is_found",),
    ),
    Guard(
        "that a mirror may exist is noted before it is made",
        "operations/registering.py",
        "self.ledger.creating(request.source_arn, request.attempt, version.group, now)",
        "pass",
        (f"{UNNOTED}::test_a_mirror_that_was_made_and_not_noted_is_found",),
    ),
    Guard(
        "what is about to be written is noted before it is",
        "operations/registering.py",
        "self._note(key, version, source, hub_arn, want, untouched, document, request, change.hub_approval)",
        "pass",
        (f"{UNNOTED}::test_what_was_written_and_not_noted_is_not_taken_for_a_persons_change",),
    ),
    Guard(
        "what changed behind the plan is planned again",
        "operations/registering.py",
        "if fingerprint(source) != request.plan.fingerprint:",
        "if False:",
        (f"{UNNOTED}::test_what_changes_behind_the_plan_is_planned_again",),
    ),
    Guard(
        "a run that lost its item writes nothing",
        "operations/registering.py",
        "if entry is None or entry.attempt != request.attempt or entry.state is not State.RUNNING:",
        "if entry is None:",
        (f"{UNNOTED}::test_a_run_that_lost_its_item_writes_nothing",),
    ),
    Guard(
        "a group of somebody else is not written to",
        "operations/grouping.py",
        "if owner != source:",
        "if False:",
        (f"{UNNOTED}::test_a_group_that_is_not_ours_is_not_written_to",),
    ),
    # Own place only
    Guard(
        "an artifact goes to its spoke's own place",
        "aws/artifacts.py",
        "if copy.destination.lower() != own.lower():",
        "if False:",
        (f"{S3}::test_a_package_of_one_account_cannot_write_to_the_place_of_another",),
    ),
    Guard(
        "an image goes to its spoke's own repositories",
        "aws/images.py",
        "if not repository.startswith(own):",
        "if False:",
        (f"{ECR}::test_nothing_is_written_outside_the_spokes_own_repositories",),
    ),
    Guard(
        "two groups never share a name",
        "policy.py",
        'tail = "-" + hashlib.sha256(f"{account}/{group}".encode()).hexdigest()[:10]',
        'tail = "-" + account',
        ("tests/unit/test_policy.py::test_long_groups_that_differ_only_at_the_end_stay_apart",),
    ),
    # No confused deputy
    Guard(
        "a bucket of somebody else is not looked at",
        "aws/artifact_source.py",
        'wanted: dict[str, Any] = {"Bucket": self.bucket, "Key": key, "ExpectedBucketOwner": self.account}',
        'wanted: dict[str, Any] = {"Bucket": self.bucket, "Key": key}',
        (f"{S3}::test_every_call_names_the_owners_and_every_part_is_pinned",),
    ),
    Guard(
        "a bucket of somebody else is not copied from",
        "aws/artifact_source.py",
        """            "ExpectedSourceBucketOwner": self.account,
""",
        "",
        (f"{S3}::test_every_call_names_the_owners_and_every_part_is_pinned",),
    ),
    Guard(
        "a bucket of somebody else is not read from",
        "aws/artifact_source.py",
        """                ExpectedBucketOwner=self.account,
                IfMatch=f'"{source.etag}"',
""",
        """                IfMatch=f'"{source.etag}"',
""",
        (f"{STREAMED}::test_every_read_is_pinned_and_names_its_owner",),
    ),
    Guard(
        "nothing is written to a bucket of somebody else",
        "aws/artifact_hub.py",
        'self.owned: Arguments = {"Bucket": bucket, "ExpectedBucketOwner": account}',
        'self.owned: Arguments = {"Bucket": bucket}',
        (f"{S3}::test_a_hub_bucket_of_somebody_else_is_not_written",),
    ),
    Guard(
        "the hub's credentials read only images of the spoke or of allowed accounts",
        "aws/images.py",
        "if image.account != package.account and image.account not in settings.image_accounts:",
        "if False:",
        (f"{ECR}::test_an_image_of_a_stranger_is_not_even_looked_at",),
    ),
    Guard(
        "credentials go to the registry only",
        "aws/oci_registry.py",
        "if registry.authorization and origin(url) == origin(registry.base_url):",
        "if registry.authorization:",
        (f"{HTTP}::test_credentials_stay_with_scheme_host_and_port_of_the_registry",),
    ),
    Guard(
        "nothing follows a redirect out of https",
        "aws/oci_registry.py",
        'if scheme != "https":',
        "if False:",
        (f"{HTTP}::test_a_registry_on_https_does_not_send_us_to_http",),
    ),
    # Same bytes
    Guard(
        "one request copies the object that was described",
        "aws/artifact_source.py",
        """            "CopySourceIfMatch": f'"{source.etag}"',
""",
        "",
        (f"{S3}::test_a_source_that_changes_in_between_is_refused",),
    ),
    Guard(
        "every read is of the object that was described",
        "aws/artifact_source.py",
        """                IfMatch=f'"{source.etag}"',
""",
        "",
        (f"{STREAMED}::test_a_source_that_changes_between_two_parts_is_refused",),
    ),
    Guard(
        "what was registered is what is copied",
        "aws/artifact_object.py",
        "if found.etag == registered:",
        "if True:",
        (f"{S3}::test_an_object_that_changed_after_registration_is_refused",),
    ),
    Guard(
        "checksums of source and copy are compared",
        "aws/artifact_verify.py",
        """        if same is False:
""",
        """        if False:
""",
        (f"{S3}::test_a_copy_with_another_checksum_is_refused",),
    ),
    Guard(
        "what is there already is compared",
        "aws/artifact_facts.py",
        "if copy.size != source.size or compare(source.checksums, copy.checksums) is False:",
        "if False:",
        ("tests/unit/test_artifacts_facts.py::test_what_is_there_may_be_the_copy",),
    ),
    Guard(
        "what is there already and is no copy is refused",
        "aws/artifact_transfer.py",
        "if may_be_copy(source, copy, self._tuning.read_limit):",
        "if True:",
        (f"{STREAMED}::test_too_large_to_read_and_not_pinned_is_no_copy_and_stays",),
    ),
    Guard(
        "a copy of another version is read",
        "aws/artifact_verify.py",
        "if not pinned and source.size:",
        "if False:",
        (f"{STREAMED}::test_the_same_bytes_written_again_are_the_copy_and_others_of_that_checksum_are_not",),
    ),
    Guard(
        "bytes in the hub are never overwritten",
        "aws/artifact_hub.py",
        'ONLY_IF_ABSENT: Arguments = {"IfNoneMatch": "*"}',
        "ONLY_IF_ABSENT: Arguments = {}",
        (f"{S3}::test_other_bytes_that_appear_meanwhile_are_never_overwritten",),
    ),
    Guard(
        "a location has one spelling",
        "package.py",
        "return str(S3Uri.parse(text))",
        "return text",
        ("tests/unit/test_shared_locations.py::test_another_spelling_is_the_same_location",),
    ),
    Guard(
        "bytes that are younger than their registration are refused",
        "aws/artifact_object.py",
        "if not younger(found.last_modified, wanted.registered_at):",
        "if True:",
        (
            "tests/integration/test_copy_artifact/test_pinned.py::test_what_was_written_later_is_refused_where_it_runs",
        ),
    ),
    Guard(
        "a prefix is as young as its youngest object",
        "aws/artifact_listing.py",
        "if entry.last_modified > self.youngest.last_modified:",
        "if not self.youngest.key:",
        (
            "tests/integration/test_copy_artifact/test_pinned.py::test_a_prefix_is_as_young_as_its_youngest_object",
        ),
    ),
    Guard(
        "the source's own metadata is no pin",
        "aws/artifact_facts.py",
        "if name.lower() != PIN_KEY and size <= free:",
        "if size <= free:",
        ("tests/unit/test_artifacts_facts.py::test_the_sources_own_entry_of_that_name_is_no_pin",),
    ),
    Guard(
        "without a checksum both are read",
        "aws/artifact_verify.py",
        "return read.digest() == written.digest()",
        "return True",
        (f"{STREAMED}::test_other_bytes_of_the_same_size_are_found_by_reading_and_stay",),
    ),
    Guard(
        "a prefix that changed during its copy is refused",
        "aws/artifact_prefix.py",
        "if tally.after != began_after and self._listed(patience).digest != listing.digest:",
        "if False:",
        (f"{PREFIX}::test_a_prefix_that_changes_during_the_copy_is_refused",),
    ),
    Guard(
        "parts of another plan are not gone on with",
        "aws/artifact_uploads.py",
        """if number > plan.count or plan.part(number).size != part["Size"]:""",
        "if number > plan.count:",
        (f"{RESUME}::test_an_upload_of_another_plan_is_not_gone_on_with",),
    ),
    Guard(
        "an upload of another checksum mode is not gone on with",
        "aws/artifact_uploads.py",
        """if (page.get("ChecksumAlgorithm"), page.get("ChecksumType")) != mode:""",
        "if False:",
        (f"{MODES}::test_only_an_upload_of_the_same_mode_is_gone_on_with",),
    ),
    Guard(
        "S3 compares the checksum before a copy in parts is visible",
        "aws/artifact_uploads.py",
        """                    **mode,
                    **expected,
""",
        """                    **mode,
""",
        (f"{S3}::test_parts_with_other_bytes_are_caught_before_the_object_appears",),
    ),
    Guard(
        "a copy that is refused is looked at again with the pin",
        "aws/artifact_transfer.py",
        "        self._source.head(item.key, source.etag, source.version_id)\n",
        "",
        (f"{ANSWERS}::test_a_refused_range_is_a_changed_source_only_if_the_source_has_changed",),
    ),
    Guard(
        "an upload that can never be completed is replaced",
        "aws/artifact_transfer.py",
        "            return self._begin_anew(running, answer)\n",
        "            raise self._overtaken(item, answer) from answer\n",
        (f"{ANSWERS}::test_an_upload_whose_completion_conflicts_is_replaced",),
    ),
    Guard(
        "the last piece of a layer goes only when its digest is right",
        "aws/oci_copy.py",
        'if left == 0 and f"sha256:{hasher.hexdigest()}" != blob.digest:',
        "if False:",
        (f"{ECR}::test_a_layer_with_other_bytes_leaves_nothing_in_the_hub",),
    ),
    Guard(
        "a manifest has the digest that it was asked for by",
        "aws/oci_registry.py",
        'if ":" in reference and digest_of(answer.body) != reference:',
        "if False:",
        (f"{ECR}::test_a_manifest_with_other_bytes",),
    ),
    Guard(
        "an image is the digest that was recorded, wherever its tag went",
        "aws/images.py",
        "copy.digest or image.reference,",
        "image.reference,",
        (f"{MIRRORING}::test_the_recorded_digest_is_copied_when_the_tag_has_moved_on",),
    ),
    # Dead letters
    Guard(
        "the attributes of a letter are of characters that SQS takes",
        "operations/dead_letters.py",
        '"StringValue": sendable(value)',
        '"StringValue": value',
        (f"{SWEEPING}::test_a_letter_of_intake_has_nothing_that_sqs_would_not_take",),
    ),
    Guard(
        "the body of a letter is of characters that SQS takes",
        "operations/dead_letters.py",
        "MessageBody=sendable(redacted(body))",
        "MessageBody=redacted(body)",
        (f"{SWEEPING}::test_a_letter_of_intake_has_nothing_that_sqs_would_not_take",),
    ),
    Guard(
        "a reason is of characters that every service takes",
        "operations/failing.py",
        "message = dead_letters.sendable(redacted(message))",
        "pass",
        (f"{SWEEPING}::test_a_reason_that_sqs_would_not_take_has_its_letter",),
    ),
    Guard(
        "a letter is sent before it is deleted",
        "operations/redriving.py",
        """        answer = self.sqs.send_message_batch(
            QueueUrl=self.intake_queue_url,
""",
        """        self._delete([letter for letter, _ in batch])
        answer = self.sqs.send_message_batch(
            QueueUrl=self.intake_queue_url,
""",
        (f"{REDRIVE}::test_killed_after_every_call_it_loses_nothing",),
    ),
    Guard(
        "a letter that could not be sent stays",
        "operations/redriving.py",
        "        self._delete(sent)\n",
        "        self._delete([letter for letter, _ in batch])\n",
        (f"{REDRIVE}::test_what_intake_does_not_take_stays",),
    ),
    Guard(
        "a letter that fails again at once is not chased",
        "operations/redriving.py",
        "if letter.sent <= tally.began]",
        "]",
        (f"{REDRIVE}::test_letters_that_fail_again_at_once_are_not_chased",),
    ),
    # An end, and no litter
    Guard(
        "an artifact that does not get on is given up",
        "aws/artifact_place.py",
        "if before and tuning.streams <= tuning.few_streams:",
        "if False:",
        (f"{RESUME}::test_an_invocation_without_progress_is_an_error",),
    ),
    Guard(
        "an image that does not get on is given up",
        "aws/images.py",
        "if not outcome.arrivals and not sent:",
        "if False:",
        (f"{MIRRORING}::test_no_progress_in_a_whole_invocation_ends_the_run",),
    ),
    Guard(
        "an image stops ahead of the deadline",
        "aws/oci_http.py",
        "if left <= 0 or self._stopped.is_set():",
        "if False:",
        (f"{HTTP}::test_a_stop_reaches_every_thread_and_can_be_taken_back",),
    ),
    Guard(
        "an artifact stops ahead of the deadline",
        "aws/artifact_pool.py",
        "while flying < streams and seconds_left() > margin and (job := _next(waiting)):",
        "while flying < streams and (job := _next(waiting)):",
        (
            "tests/unit/test_artifacts_pool.py::test_it_begins_nothing_when_time_is_short_and_says_that_work_is_left",
        ),
    ),
    Guard(
        "a copy that fails leaves no open upload",
        "aws/artifact_object.py",
        "            transfer.abandon_all()\n",
        "",
        (f"{S3}::test_a_source_that_changes_in_between_is_refused",),
    ),
    Guard(
        "the upload of what was registered goes when its source has changed",
        "aws/artifact_object.py",
        "            uploads.abort(was, upload_id)\n",
        "            pass\n",
        (f"{RESUME}::test_a_changed_source_aborts_the_upload_of_what_was_registered",),
    ),
    Guard(
        "a page of a prefix is copied only as it was summed up",
        "aws/artifact_listing.py",
        "if found.digest() != next(marks, None):",
        "if not next(marks, None):",
        (
            "tests/integration/test_copy_artifact/test_changing.py"
            "::test_overwritten_after_it_was_summed_up_and_put_back_before_the_last_look",
        ),
    ),
    Guard(
        "a copy that nothing vouches for is no copy",
        "aws/artifact_facts.py",
        "return pinned_by(source, copy) or source.size <= read_limit",
        "return True",
        (f"{STREAMED}::test_too_large_to_read_and_not_pinned_is_no_copy_and_stays",),
    ),
    Guard(
        "a manifest points to where its prefix went",
        "operations/registering.py",
        "        refuse_manifests_that_point_past(request.plan.copies, request.results, locations)\n",
        "",
        ("tests/unit/test_manifests.py::test_register_refuses_it_before_it_writes_anything",),
    ),
    Guard(
        "a busy spoke holds up no other in a reconciliation",
        "operations/reconciling.py",
        "if not pause.crowded or job.place.idle < PATIENCE[job.request.mode]:",
        "if True:",
        (
            "tests/unit/test_reconciling.py"
            "::test_a_spoke_whose_runs_take_all_its_room_holds_up_no_other[reconcile-40]",
        ),
    ),
    # Names that are AWS's, and images by digest
    Guard(
        "what is AWS's in one Region is a stranger's in another",
        "policy.py",
        "        if name == region:\n",
        "        if listed:\n",
        (f"{POLICY}::test_aws_owned_registries_are_those_of_one_region",),
    ),
    Guard(
        "a bucket that only looks like one of AWS's is copied",
        "plan.py",
        "if location and location.bucket not in policy.aws_buckets:",
        "if location and not location.bucket.startswith('jumpstart-'):",
        (f"{PLAN}::test_a_bucket_that_only_looks_like_one_of_awss_is_copied",),
    ),
    Guard(
        "two digests of one image are refused",
        "refusals.py",
        "    if contradicts(found):\n",
        "    if False:\n",
        (f"{PLAN}::test_what_cannot_be_mirrored_is_refused_before_anything_is_copied",),
    ),
    Guard(
        "an image of AWS's is named by its recorded digest",
        "mirror.py",
        "rewrite(source, locations, images_by_digest=True)",
        "rewrite(source, locations)",
        (f"{DIGESTS}::test_the_digest_that_was_recorded_is_what_the_mirror_is_made_with",),
    ),
    Guard(
        "a mirror that would run another image is rejected",
        "operations/registering.py",
        "        self._refuse_other_images(version.arn, hub_arn, mirror)\n",
        "",
        (f"{DIGESTS}::test_a_mirror_with_another_digest_is_rejected_and_says_why",),
    ),
    # Hostile texts
    Guard(
        "no message says a secret",
        "errors.py",
        "self.message = visible(redacted(message))",
        "self.message = message",
        (f"{REDACTION}::test_a_secret_is_taken_out_wherever_a_text_becomes_ours",),
    ),
    Guard(
        "no dead-letter message holds a secret",
        "operations/dead_letters.py",
        "MessageBody=sendable(redacted(body))",
        "MessageBody=sendable(body)",
        ("tests/unit/test_dead_letters.py::test_what_is_sent_says_no_secret_and_neither_does_what_is_read",),
    ),
    Guard(
        "an error that nobody foresaw says no secret",
        "observability.py",
        "            if redacted(said) == said:\n",
        "            if True:\n",
        (f"{REDACTION}::test_an_error_that_nobody_foresaw_says_no_secret",),
    ),
    Guard(
        "half a password is none",
        "identifiers.py",
        "return repr(redacted(text)[:300])",
        "return repr(text[:300])",
        (f"{REDACTION}::test_half_a_password_is_none_either",),
    ),
    Guard(
        "content of a private hub is refused",
        "refusals.py",
        "and not public_hub_content(found.value, policy.region)",
        'and ":aws:hub-content/" not in found.value',
        (f"{PLAN}::test_what_cannot_be_mirrored_is_refused_before_anything_is_copied",),
    ),
    Guard(
        "a card that is nested without end is refused",
        "refusals.py",
        "and not readable_card(found.value)",
        "and False",
        (f"{PLAN}::test_what_cannot_be_mirrored_is_refused_before_anything_is_copied",),
    ),
    Guard(
        "an ARN has the partition of its Region",
        "identifiers.py",
        'if not found or found["partition"] != partition_of(found["region"]).name:',
        "if not found:",
        (f"{PARTITIONS}::test_an_arn_has_the_digits_and_the_partition_that_aws_writes",),
    ),
    Guard(
        "an ARN has the digits of ASCII",
        "identifiers.py",
        '_ACCOUNT = r"(?P<account>[0-9]{12})"',
        '_ACCOUNT = r"(?P<account>\\d{12})"',
        (f"{PARTITIONS}::test_an_arn_has_the_digits_and_the_partition_that_aws_writes",),
    ),
    Guard(
        "a registry sends us to its own layers only",
        "aws/oci_registry.py",
        "if origin(target) != origin(registry.base_url) and not registry.redirects_to(host):",
        "if False:",
        (f"{HTTP}::test_a_registry_on_https_sends_us_nowhere_but_where_its_layers_are_kept",),
    ),
    Guard(
        "a list of referrers without an end is left",
        "aws/oci_referrers.py",
        "if pages > MOST_PAGES:",
        "if False:",
        (f"{REFERRERS}::test_a_list_without_an_end_is_left_after_so_many_pages",),
    ),
    Guard(
        "two spokes never have one alias",
        "settings.py",
        "if given.count(alias) > 1:",
        "if False:",
        ("tests/unit/test_settings.py::test_an_alias_that_hides_which_spoke_it_is_is_refused",),
    ),
    Guard(
        "a stage does not say approved beside a pending mirror",
        "mirror.py",
        "if not follows_approval and says_approved(members.get(LIFECYCLE, {})):",
        "if False:",
        (f"{MIRROR}::test_a_stage_says_approved_only_where_approvals_are_mirrored",),
    ),
    Guard(
        "a stage that says no such thing is copied",
        "mirror.py",
        '_NOT_APPROVED = frozenset({STAGE_PENDING, "InProgress", "OnHold", REJECTED, "Retired"})',
        "_NOT_APPROVED = frozenset({STAGE_PENDING})",
        (f"{MIRROR}::test_a_stage_that_says_no_such_thing_is_copied",),
    ),
    Guard(
        "the source's metadata in the replicator's name is not carried over",
        "mirror.py",
        "foreign = {key for key in metadata if key.startswith(provenance.PREFIX)}",
        "foreign: set[str] = set()",
        (f"{MIRROR}::test_a_package_cannot_pass_for_the_mirror_of_another",),
    ),
    Guard(
        "a value that ends with a line break is no pin",
        "ledger.py",
        '    if "pins" in item:\n',
        "    if False:\n",
        ("tests/unit/test_ledger_item.py::test_a_location_that_ends_with_a_line_break_is_a_location",),
    ),
]
