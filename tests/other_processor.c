/* Shows a program a lesser processor: LD_PRELOAD this, and VRN_PROCESSOR=avx2 or sse says which.

   Linux lets a program refuse itself the instruction CPUID (arch_prctl, where processor and virtual machine can do it);
   the signal that follows is answered here with the processor's own answer less AVX-512 and AMX, or less AVX and FMA as
   well. So every library takes its other code path, those without a switch for it too. `bash build.sh test-everywhere`
   compiles and uses it. */

#define _GNU_SOURCE
#include <asm/prctl.h>
#include <dlfcn.h>
#include <signal.h>
#include <stdint.h>
#include <stdlib.h>
#include <string.h>
#include <sys/syscall.h>
#include <ucontext.h>
#include <unistd.h>

static int started, sse;

static void answer(int number, siginfo_t *info, void *context) {
    greg_t *registers = ((ucontext_t *)context)->uc_mcontext.gregs;
    const unsigned char *code = (const unsigned char *)registers[REG_RIP];
    if (code[0] != 0x0f || code[1] != 0xa2) { /* no CPUID: an error as any other */
        signal(number, SIG_DFL);
        return;
    }
    uint32_t leaf = registers[REG_RAX], part = registers[REG_RCX], a, b, c, d;
    syscall(SYS_arch_prctl, ARCH_SET_CPUID, 1);
    __asm__ volatile("cpuid" : "=a"(a), "=b"(b), "=c"(c), "=d"(d) : "a"(leaf), "c"(part));
    syscall(SYS_arch_prctl, ARCH_SET_CPUID, 0);
    if (leaf == 7 && part == 0) {
        b &= ~0xdc230000u; /* AVX-512 F, DQ, IFMA, PF, ER, CD, BW, VL */
        c &= ~0x00005842u; /* its VBMI, VBMI2, VNNI, BITALG, VPOPCNTDQ */
        d &= ~0x03c0010cu; /* its 4VNNIW, 4FMAPS, VP2INTERSECT, FP16; AMX */
        if (sse) b &= ~(1u << 5), c &= ~(3u << 9); /* AVX2, VAES, VPCLMULQDQ */
    } else if (leaf == 7) {
        a = b = c = d = 0; /* newer ones */
    } else if (leaf == 1 && sse) {
        c &= ~(1u << 12 | 3u << 28); /* FMA, AVX, F16C */
    }
    registers[REG_RAX] = a, registers[REG_RBX] = b, registers[REG_RCX] = c, registers[REG_RDX] = d;
    registers[REG_RIP] += 2;
    (void)info;
}

/* Python's faulthandler would take the signal away. */
int sigaction(int number, const struct sigaction *action, struct sigaction *before) {
    int (*real)(int, const struct sigaction *, struct sigaction *) = dlsym(RTLD_NEXT, "sigaction");
    return real(number, started && number == SIGSEGV ? NULL : action, before);
}

__attribute__((constructor)) static void begin(void) {
    const char *wanted = getenv("VRN_PROCESSOR");
    if (wanted == NULL) return;
    sse = strcmp(wanted, "sse") == 0;
    struct sigaction action = {.sa_sigaction = answer, .sa_flags = SA_SIGINFO | SA_NODEFER};
    sigaction(SIGSEGV, &action, NULL);
    started = 1;
    if (syscall(SYS_arch_prctl, ARCH_SET_CPUID, 0) != 0) _exit(77);
}
