"""What tidy.py --self-test judges: a small good tree, and bad files of one fault each."""

ORDER = """\
// order[slot.word]: release
//   pairs with peek(), which acquires.
word.store(1, boost::memory_order_release);
"""

GOOD = {
    "engine/CMakeLists.txt": "set(KEYSTILE_LAYERS platform segment slots abi)\n",
    "engine/platform/platform.hpp": "#pragma once\nusing boost::memory_order_relaxed;\n",
    "engine/slots/word.hpp": '#include "platform/platform.hpp"\nKEYSTILE_CRASH_POINT("slots.claim.before_cas");\n',
    "engine/slots/word.cpp": '#include "slots/word.hpp"\n#include "word.hpp"\n' + ORDER
    + "// A mutex or a sleep(1) in a comment harms nobody; nor does \"std::mutex\" in a string.\n"
    + 'asm volatile("" ::: "memory");\nstatic_assert(true);\ninline bool cas16(int* word);\n',
    "engine/slots/count.cpp": "// tidy-allow(std::atomic): counted in this process alone.\nstd::atomic<int> n;\n"
    "// order[slots.count]: relaxed, a statistic.\n" + "\n" * 13 + "n.fetch_add(1, boost::memory_order_relaxed);\n",
    "engine/docs/RECOVERY.md": "| `slots.claim.before_cas` | free |\n",
    "tests/unit/word_test.cpp": '#include "slots/slots.hpp"\n',
    "bindings/cpp/keystile.hpp": '#include "keystile.h"\n',
}

BAD = (
    ("length", "engine/slots/long.cpp", "\n" * 601),
    ("width", "engine/slots/wide.cpp", "//" + "x" * 120 + "\n"),
    ("tab", "tests/unit/tab.cpp", "\tint x;\n"),
    ("left-open", "engine/slots/later.cpp", "// TO" "DO: later\n"),
    ("machine-path", "engine/docs/NOTES.md", "see /ho" "me/somebody/notes\n"),
    ("include", "engine/platform/up.cpp", '#include "slots/slots.hpp"\n'),
    ("include", "engine/slots/window.cpp", '#include "platform/clock.hpp"\n'),
    ("include", "engine/slots/unknown.cpp", '#include "support/child.hpp"\n'),
    ("include", "bindings/cli/inside.cpp", '#include "slots/slots.hpp"\n'),
    ("include", "tests/unit/window_test.cpp", '#include "slots/word.hpp"\n'),
    ("mutex", "engine/slots/lock.cpp", "std::mutex lock;\n"),
    ("std::atomic", "engine/slots/atomic.cpp", "std::atomic<int> count;\n"),
    ("sleep", "tests/unit/nap_test.cpp", "std::this_thread::sleep_for(1ms);\n"),
    ("sleep", "engine/slots/nap.cpp", "::usleep(1);\n"),
    ("assert", "engine/slots/soft.cpp", "assert(x);\n"),
    ("volatile", "engine/slots/old.cpp", "volatile int x;\n"),
    ("order", "engine/slots/bare.cpp", "word.store(1, boost::memory_order_release);\n"),
    ("order", "engine/slots/default.cpp", "// order[x]: pairs with y\nint now = word.load();\n"),
    ("order", "engine/slots/cas.cpp", "if (!cas16(word, seen, next)) return cas16(word, seen, next);\n"),
    ("order", "engine/slots/far.cpp", ORDER + "\n" * 15 + "word.load(boost::memory_order_acquire);\n"),
    ("order", "engine/slots/alone.cpp", "// order[a.b]: release, for luck.\nx.store(1, memory_order_release);\n"),
    ("crash-point", "engine/slots/name.cpp", 'KEYSTILE_CRASH_POINT("before_cas");\n'),
    ("crash-point", "engine/slots/twice.cpp", 'KEYSTILE_CRASH_POINT("slots.claim.before_cas");\n'),
    ("crash-point", "engine/slots/unwritten.cpp", 'KEYSTILE_CRASH_POINT("slots.claim.after_cas");\n'),
    ("crash-point", "engine/docs/RECOVERY.md",
     "`slots.claim.before_cas`\n`slots.claim.never`\n"),
)
