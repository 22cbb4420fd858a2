// Proves that the C++ header compiles from an installed prefix and links.
#include <keystile.hpp>

int main() {
    return ks_abi_version() != 0 ? 0 : 1;
}
