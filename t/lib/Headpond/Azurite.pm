# SPDX-License-Identifier: Apache-2.0
# Azurite, the real Blob service that tests run against, as contrib/check installs it.
package Headpond::Azurite;
use strict;
use warnings;
use File::Temp ();
use Headpond::Process;

# The emulator's account and its key, known to everybody.
our $account = 'devstoreaccount1';
our $key = 'Eby8vdM02xNOcqFlqUwJPLlmEtlCDXJ1OUzFT50uSRZ6IFsuFq2UVErCz4I6tq/K1SZFPTOtr/KBHBeksoGMGw==';

sub node { return $ENV{HEADPOND_NODE} || 'node' }
sub modules { return $ENV{HEADPOND_NODE_MODULES} || "$Headpond::source/build/node/node_modules" }
sub installed { return -e modules() . '/azurite/dist/src/blob/main.js' }

# Starts it on a port of the system's choice; dies when it does not start. accounts => "name:key1:key2;...": these instead
# of its own.
sub start {
    my ($class, %o) = @_;
    my $dir = File::Temp->newdir;
    my $process = Headpond::Process->start(log => "$dir/err", out => "$dir/out",
        env => $o{accounts} ? { AZURITE_ACCOUNTS => $o{accounts} } : {},
        command => [node(), modules() . '/azurite/dist/src/blob/main.js', '--blobHost', '127.0.0.1', '--blobPort', '0',
            '--skipApiVersionCheck', '--loose', '--inMemoryPersistence', '--disableTelemetry']);
    my ($port) = $process->wait_log(qr/listens on http:\/\/127\.0\.0\.1:(\d+)/, 60, "$dir/out")
        or die 'the Blob service did not start: ' . $process->log_text;
    return bless { process => $process, dir => $dir, port => $port, address => "127.0.0.1:$port" }, $class;
}

sub stop { my ($self) = @_; return $self->{process}->stop }

1;
