# keystile_add_flavour(<suffix> [DEFINITIONS <macro>...])
#
# Compiles the whole engine once, layer by layer, as targets keystile_<layer><suffix>. A layer links only
# the layer left of it (and through it, those further left). Makes
#   keystile_internals<suffix>  what code that includes engine headers compiles with (no objects)
# and answers, in the caller's scope, KEYSTILE_OBJECTS<suffix>: the objects for a library to collect.

function(keystile_add_flavour suffix)
    cmake_parse_arguments(PARSE_ARGV 1 arg "" "" "DEFINITIONS")

    add_library(keystile_internals${suffix} INTERFACE)
    target_include_directories(keystile_internals${suffix} INTERFACE ${PROJECT_SOURCE_DIR}/engine)
    target_compile_definitions(keystile_internals${suffix} INTERFACE ${arg_DEFINITIONS})
    target_link_libraries(keystile_internals${suffix} INTERFACE keystile_third_party)

    set(left keystile_internals${suffix})
    set(objects "")
    foreach(layer IN LISTS KEYSTILE_LAYERS)
        set(target keystile_${layer}${suffix})
        file(GLOB sources CONFIGURE_DEPENDS ${PROJECT_SOURCE_DIR}/engine/${layer}/*.cpp)
        if(sources)
            add_library(${target} OBJECT ${sources})
            target_link_libraries(${target} PUBLIC ${left} PRIVATE keystile_options)
            # Two 8-byte fields written apart and copied as one vector stall the load for a dozen cycles;
            # on the paths of a few nanoseconds that is half the price (get 3.2x -> 2.2x of a CAS).
            target_compile_options(${target} PRIVATE -fno-tree-slp-vectorize)
            set_target_properties(${target} PROPERTIES EXCLUDE_FROM_ALL ON
                CXX_VISIBILITY_PRESET hidden VISIBILITY_INLINES_HIDDEN ON)
            list(APPEND objects $<TARGET_OBJECTS:${target}>)
        else()
            add_library(${target} INTERFACE)  # header-only, or not written yet
            target_link_libraries(${target} INTERFACE ${left})
        endif()
        set(left ${target})
    endforeach()
    set(KEYSTILE_OBJECTS${suffix} ${objects} PARENT_SCOPE)
endfunction()
