# SPDX-License-Identifier: Apache-2.0
# t/clients/authority.py, where clients get bearer tokens by their own secret.
package Headpond::Authority;
use strict;
use warnings;
use File::Temp ();
use Headpond::Origin;
use Headpond::Process;

our ($client, $secret) = ('a-client', 'itsSecret');

sub start {
    my ($class) = @_;
    my $dir = File::Temp->newdir;
    my %tls = %Headpond::Origin::tls;
    push @Headpond::Origin::secrets, $secret;
    my $process = Headpond::Process->start(log => "$dir/err", out => "$dir/out",
        command => ['/usr/bin/python3', "$Headpond::source/t/clients/authority.py", @tls{qw(certificate key)}, $client, $secret, "$dir/token"]);
    my ($address) = $process->wait_log(qr/^listening (\S+)\n/, 20, "$dir/out") or die 'the authority did not start: ' . $process->log_text;
    return bless { process => $process, dir => $dir, url => "https://$address" }, $class;
}

# From now on it gives this token: a header, as Headpond::Origin's `bearer` makes it.
sub gives {
    my ($self, $header) = @_;
    my ($token) = $header =~ /^Authorization: Bearer (\S+)$/ or die;
    open my $file, '>', "$self->{dir}/token" or die;
    print $file $token;
    close $file;
}

# How Hadoop's ABFS is told to log in here.
sub hadoop {
    my ($self) = @_;
    my $provider = 'org.apache.hadoop.fs.azurebfs.oauth2.ClientCredsTokenProvider';
    return ('fs.azure.account.auth.type=OAuth', "fs.azure.account.oauth.provider.type=$provider",
        "fs.azure.account.oauth2.client.endpoint=$self->{url}/tenant/oauth2/token", "fs.azure.account.oauth2.client.id=$client",
        "fs.azure.account.oauth2.client.secret=$secret", 'fs.azure.ssl.channel.mode=Default_JSSE');
}

# How many tokens it has given.
sub given {
    my ($self) = @_;
    return scalar grep { /^token .* granted$/ } split /\n/, Headpond::Process::slurp("$self->{dir}/out");
}

sub stop { my ($self) = @_; return $self->{process}->stop }

1;
