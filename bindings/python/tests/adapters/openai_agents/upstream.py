"""The SDK's tests of runs with a session, with KeystileSession as their SQLiteSession (see ../upstream.py)."""

from __future__ import annotations

import itertools
import os

from keystile.openai_agents import KeystileSession

TESTS = [
    "tests/memory/test_session.py",
    "tests/memory/test_session_limit.py",
    "tests/memory/test_compaction_model_visibility.py",
    "tests/memory/test_openai_responses_compaction_session.py",
    "tests/test_agent_runner.py::test_omit_policy_strips_reasoning_ids_already_stored_in_the_session",
    "tests/test_agent_runner.py::test_non_streamed_model_retry_does_not_rewind_committed_session_input",
    "tests/test_agent_runner.py::test_session_add_items_called_multiple_times_for_multi_turn_completion",
    "tests/test_agent_runner_streamed.py::test_streamed_omit_policy_strips_reasoning_ids_already_stored_in_the_session",
    "tests/test_max_turns.py",
    "tests/test_native_tool_failure_history.py",
    "tests/test_programmatic_tool_calling.py::test_sqlite_session_round_trip_preserves_program_history_and_caller",
    "tests/test_programmatic_tool_calling.py::test_nested_handoff_summarizes_complete_programmatic_transcript",
    "tests/test_run_impl_resume_paths.py::test_failed_approval_callback_defers_stream_output_until_retry_guardrail",
    "tests/test_run_impl_resume_paths.py::test_resumed_committed_append_refreshes_compaction_input",
    "tests/test_run_impl_resume_paths.py::test_compaction_reload_preserves_session_retrieval_window",
    "tests/test_soft_cancel.py",
    "tests/test_tool_batch_failure_history.py",
    "tests/test_tool_failure_boundaries.py",
]
LEFT_OUT = {
    "looks into SQLite: connections, locks, tables, damaged rows": [
        "test_sqlite_session_close_closes_worker_thread_connections",
        "test_sqlite_session_reaps_connections_from_exited_worker_threads",
        "test_sqlite_session_closes_retired_connections_before_the_next_allocation",
        "test_sqlite_session_keeps_connections_of_live_worker_threads",
        "test_sqlite_session_pop_item_skips_corrupt_most_recent",
        "test_sqlite_session_pop_item_returns_none_after_dropping_only_corrupt_rows",
        "test_sqlite_session_get_items_limit_skips_corrupt_newest_rows",
        "test_sqlite_session_get_items_session_settings_limit_skips_corrupt_rows",
        "test_sqlite_session_file_lock_is_shared_across_instances",
        "test_sqlite_session_failed_add_items_releases_write_lock",
        "test_sqlite_session_failed_clear_session_rolls_back",
        "test_sqlite_session_failed_pop_item_releases_write_lock",
        "test_sqlite_session_rollback_failure_evicts_connection",
        "test_sqlite_session_close_retries_quarantined_connection",
        "test_sqlite_session_post_commit_cancellation_propagates_after_known_outcome",
        "test_settled_pop_failure_invalidates_response_chain",
        "test_settled_clear_failure_invalidates_response_chain",
    ],
    "a session of ours is not closed: its store is": ["test_sqlite_session_closed_rejects_empty_add_items"],
    "needs _get_compaction_snapshot(), which is the SDK's own": [
        "test_backend_read_limit_cannot_hide_retained_history_from_compaction",
        "test_automatic_compaction_does_not_reload_unbounded_hidden_history",
        "test_expired_read_overhead_does_not_authorize_hidden_history",
        "test_automatic_compaction_rollback_budget",
    ],
}

SUITES = {"openai-agents": (TESTS, LEFT_OUT)}

made: list[str] = []
_stores: dict[str, str] = {}
_numbers = itertools.count()


class _OurSession(KeystileSession):
    """Constructed as a SQLiteSession is: a store for each file, and one for each that is in memory."""

    def __init__(self, session_id, db_path=":memory:", *tables, session_settings=None):
        made.append(session_id)
        path = str(db_path) if str(db_path) != ":memory:" else f":memory:{next(_numbers)}"
        url = _stores.setdefault(path, f"shm:py.upstream.{os.getpid()}.{len(_stores)}")
        super().__init__(session_id, url, session_settings=session_settings)

    def close(self):
        pass


def substitute():
    import agents.memory

    agents.SQLiteSession = agents.memory.SQLiteSession = _OurSession


def clean_up():
    import keystile

    for url in _stores.values():
        keystile.shared(url).close()
        keystile.destroy(url, force=True)
