# How every target here is compiled: language level, warnings, sanitizers, places of the build tree.

set(CMAKE_CXX_STANDARD 20)
set(CMAKE_CXX_STANDARD_REQUIRED ON)
set(CMAKE_CXX_EXTENSIONS OFF)
set(CMAKE_C_STANDARD 11)
set(CMAKE_C_STANDARD_REQUIRED ON)
set(CMAKE_C_EXTENSIONS OFF)
set(CMAKE_EXPORT_COMPILE_COMMANDS ON)
set(CMAKE_POSITION_INDEPENDENT_CODE ON)  # the static library goes into Python and Node modules too

if(PROJECT_IS_TOP_LEVEL)
    set(CMAKE_RUNTIME_OUTPUT_DIRECTORY ${PROJECT_BINARY_DIR}/bin)
    set(CMAKE_LIBRARY_OUTPUT_DIRECTORY ${PROJECT_BINARY_DIR}/lib)
    set(CMAKE_ARCHIVE_OUTPUT_DIRECTORY ${PROJECT_BINARY_DIR}/lib)
    # As a subproject of somebody else a new compiler's warning must not stop their build.
    # (`cmake --compile-no-warning-as-error` lifts it here too.)
    set(CMAKE_COMPILE_WARNING_AS_ERROR ON)

    find_program(CCACHE_PROGRAM ccache)
    if(CCACHE_PROGRAM)
        set(CMAKE_C_COMPILER_LAUNCHER ${CCACHE_PROGRAM})
        set(CMAKE_CXX_COMPILER_LAUNCHER ${CCACHE_PROGRAM})
    endif()
endif()

# Build-only options, never exported. -Wpedantic stays off: 16-byte words need __int128.
add_library(keystile_options INTERFACE)
target_compile_options(keystile_options INTERFACE
    -Wall -Wextra -Wconversion -Wshadow
    $<$<COMPILE_LANGUAGE:CXX>:-Wnon-virtual-dtor>
    -fno-plt -ffunction-sections -fdata-sections)
target_link_options(keystile_options INTERFACE LINKER:--gc-sections LINKER:--as-needed LINKER:-z,relro,-z,now)

if(KEYSTILE_SANITIZE)
    target_compile_options(keystile_options INTERFACE
        -fsanitize=${KEYSTILE_SANITIZE} -fno-sanitize-recover=all -fno-omit-frame-pointer)
    target_link_options(keystile_options INTERFACE -fsanitize=${KEYSTILE_SANITIZE})
    if(CMAKE_CXX_COMPILER_ID STREQUAL "GNU")
        # Instrumented code makes GCC see uninitialized members in its own <regex>. The release build still warns.
        target_compile_options(keystile_options INTERFACE -Wno-maybe-uninitialized)
    endif()
    if(KEYSTILE_SANITIZE MATCHES "thread" AND CMAKE_CXX_COMPILER_ID STREQUAL "GNU")
        # GCC warns that TSan does not see fences. The fences stay: other processes need them.
        target_compile_options(keystile_options INTERFACE -Wno-tsan)
    endif()
endif()

# For code whose speed nobody measures: what it costs the compiler counts.
set(KEYSTILE_UNHURRIED $<$<CONFIG:RelWithDebInfo>:-O1> -g1)
if(KEYSTILE_SANITIZE)
    set(KEYSTILE_UNHURRIED -O0 -g1)
endif()

# Header-only third parties of the engine: nothing of them is left at run time.
find_package(Boost 1.81 REQUIRED)
find_path(KEYSTILE_XXHASH_INCLUDE_DIR xxhash.h REQUIRED)
mark_as_advanced(KEYSTILE_XXHASH_INCLUDE_DIR)

add_library(keystile_third_party INTERFACE)
target_link_libraries(keystile_third_party INTERFACE Boost::headers)
target_include_directories(keystile_third_party SYSTEM INTERFACE ${KEYSTILE_XXHASH_INCLUDE_DIR})
target_compile_definitions(keystile_third_party INTERFACE XXH_INLINE_ALL)
