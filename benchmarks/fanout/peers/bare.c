/* The same bare loop in C: `send(frame)` on each of the sockets, and nothing else.
 * It answers the handshake with a fixed key, which the load client doesn't look at.
 */
#define _GNU_SOURCE
#include <arpa/inet.h>
#include <fcntl.h>
#include <netinet/in.h>
#include <netinet/tcp.h>
#include <poll.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/resource.h>
#include <sys/socket.h>
#include <time.h>
#include <unistd.h>

static const char answer[] =
    "HTTP/1.1 101 Switching Protocols\r\nUpgrade: websocket\r\nConnection: Upgrade\r\n"
    "Sec-WebSocket-Accept: s3pPLMBiTxaQ9kYGzzhZRbK+xOo=\r\n\r\n";
static int sockets[1 << 17], count;

static int64_t now(void) {
    struct timespec t;
    clock_gettime(CLOCK_MONOTONIC, &t);
    return (int64_t)t.tv_sec * 1000000000 + t.tv_nsec;
}

static void take(int listener) {
    char request[4096];
    size_t held = 0;
    int one = 1, accepted = accept(listener, NULL, NULL);
    if (accepted < 0) return;
    setsockopt(accepted, IPPROTO_TCP, TCP_NODELAY, &one, sizeof one);
    while (!memmem(request, held, "\r\n\r\n", 4)) {
        ssize_t got = recv(accepted, request + held, sizeof request - held, 0);
        if (got <= 0) { close(accepted); return; }
        held += got;
    }
    send(accepted, answer, sizeof answer - 1, MSG_NOSIGNAL);
    fcntl(accepted, F_SETFL, O_NONBLOCK);
    sockets[count++] = accepted;
}

static void run(unsigned size, unsigned messages, double rate) {
    static uint8_t frame[1 << 16];
    size_t head = size < 126 ? 2 : 4;
    frame[0] = 0x81;
    frame[1] = size < 126 ? size : 126;
    if (head == 4) { frame[2] = size >> 8; frame[3] = size & 255; }
    memset(frame + head, 'x', size);
    int64_t due = now();
    for (unsigned i = 0; i < messages; i++) {
        due += 1e9 / rate;
        if (due < now()) due = now();
        struct timespec until = {due / 1000000000, due % 1000000000};
        clock_nanosleep(CLOCK_MONOTONIC, TIMER_ABSTIME, &until, NULL);
        char stamp[32];
        snprintf(stamp, sizeof stamp, "@%019ld ", (long)due);
        memcpy(frame + head, stamp, 21);
        for (int j = 0; j < count; j++) send(sockets[j], frame, head + size, MSG_NOSIGNAL);
    }
}

int main(void) {
    struct rlimit limit;
    getrlimit(RLIMIT_NOFILE, &limit);
    limit.rlim_cur = limit.rlim_max;
    setrlimit(RLIMIT_NOFILE, &limit);
    struct sockaddr_in address = {.sin_family = AF_INET};
    socklen_t size = sizeof address;
    address.sin_addr.s_addr = htonl(INADDR_LOOPBACK);
    int listener = socket(AF_INET, SOCK_STREAM, 0);
    bind(listener, (struct sockaddr *)&address, sizeof address);
    listen(listener, 4096);
    getsockname(listener, (struct sockaddr *)&address, &size);
    printf("%d\n", ntohs(address.sin_port));
    fflush(stdout);
    struct pollfd either[2] = {{listener, POLLIN, 0}, {0, POLLIN, 0}};
    for (;;) {
        poll(either, 2, -1);
        if (either[0].revents) { take(listener); continue; }
        char line[128];
        unsigned bytes, messages;
        double rate;
        if (!fgets(line, sizeof line, stdin)) return 0;
        if (sscanf(line, "%u %u %lf", &bytes, &messages, &rate) == 3) run(bytes, messages, rate);
        puts("done");
        fflush(stdout);
    }
}
