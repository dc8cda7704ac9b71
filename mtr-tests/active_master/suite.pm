package My::Suite::Active_master;

@ISA = qw(My::Suite);

return "No active_master plugin" unless $ENV{ACTIVE_MASTER_SO};

sub is_default { 1 }

bless { };
