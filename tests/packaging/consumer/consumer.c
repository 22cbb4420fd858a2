/* Links something real, and proves that the header is plain C. */
#include <keystile.h>

int main(void) {
    return ks_status_name(KS_OK) != 0 ? 0 : 1;
}
