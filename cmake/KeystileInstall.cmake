# Install and export: CMake package `Keystile`, pkg-config `keystile`. Both are relocatable.

if(NOT TARGET keystile)
    return()
endif()

include(CMakePackageConfigHelpers)

set(package_dir ${CMAKE_INSTALL_LIBDIR}/cmake/Keystile)

install(EXPORT KeystileTargets NAMESPACE Keystile:: DESTINATION ${package_dir})
configure_package_config_file(${PROJECT_SOURCE_DIR}/cmake/Config.cmake.in
    ${PROJECT_BINARY_DIR}/KeystileConfig.cmake INSTALL_DESTINATION ${package_dir})
write_basic_package_version_file(${PROJECT_BINARY_DIR}/KeystileConfigVersion.cmake
    COMPATIBILITY SameMinorVersion)
install(FILES ${PROJECT_BINARY_DIR}/KeystileConfig.cmake ${PROJECT_BINARY_DIR}/KeystileConfigVersion.cmake
    DESTINATION ${package_dir})

# From <libdir>/pkgconfig up to the prefix, however deep libdir is (Debian: lib/<triplet>).
file(RELATIVE_PATH KEYSTILE_PC_TO_PREFIX
    /prefix/${CMAKE_INSTALL_LIBDIR}/pkgconfig /prefix)
string(REGEX REPLACE "/$" "" KEYSTILE_PC_TO_PREFIX ${KEYSTILE_PC_TO_PREFIX})
configure_file(${PROJECT_SOURCE_DIR}/cmake/keystile.pc.in ${PROJECT_BINARY_DIR}/keystile.pc @ONLY)
install(FILES ${PROJECT_BINARY_DIR}/keystile.pc DESTINATION ${CMAKE_INSTALL_LIBDIR}/pkgconfig)

install(FILES ${PROJECT_SOURCE_DIR}/LICENSE DESTINATION ${CMAKE_INSTALL_DOCDIR})
