/* The plain C interface: plain NAME CLUSTER NODES shows where a transaction would go. */
#include <active_master.h>
#include <stdio.h>

int main(int argc, char **argv) {
  char error[256];
  active_master_client *cluster;
  active_master_pass *pass;
  active_master_route route;
  active_master_options options = {0};
  options.size = sizeof options;
  if (argc > 1) options.name = argv[1];
  if (argc > 2) options.cluster = argv[2];
  if (argc > 3) options.nodes = argv[3];
  if (active_master_create(&options, &cluster, error, sizeof error) != ACTIVE_MASTER_OK) {
    fprintf(stderr, "plain: %s\n", error);
    return 2;
  }
  const int code = active_master_enter(cluster, 5000, &pass, &route);
  if (code == ACTIVE_MASTER_OK) {
    printf("epoch %llu: %s at %s:%u\n", (unsigned long long)route.epoch, route.node, route.host, route.port);
    active_master_leave(pass);
  } else {
    fprintf(stderr, "plain: %s\n", active_master_text(code));
  }
  active_master_destroy(cluster);
  return code;
}
