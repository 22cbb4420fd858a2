"""Import this before CrewAI: no telemetry, no traces, no files in the user's home."""

import os
import tempfile

HOME = tempfile.TemporaryDirectory(prefix="keystile-crewai-")
os.environ.update(
    CREWAI_DISABLE_TELEMETRY="true",
    CREWAI_STORAGE_DIR=f"{HOME.name}/storage",
    CREWAI_TESTING="true",
    CREWAI_TRACING_ENABLED="false",
    HOME=HOME.name,
    OTEL_SDK_DISABLED="true",
)
